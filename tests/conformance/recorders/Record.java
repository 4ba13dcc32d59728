import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.CloudEventData;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.data.BytesCloudEventData;
import io.cloudevents.core.data.PojoCloudEventData;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.CloudEventSerializer;
import java.io.File;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** Prints what the CloudEvents SDK of Java writes for Kafka, by its serializer. */
public class Record {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** Jackson writes null for a field that was not set, and a Double as 2.0. */
  public static class Job {
    public String owner;
    public String agreementId;
    public String jobId;
    public Double attempt;
    @JsonProperty("configlogURL") public String configlogUrl;
    @JsonProperty("publishlogURL") public String publishlogUrl;
    @JsonProperty("algologURL") public String algologUrl;
    @JsonProperty("outputsURL") public List<String> outputsUrl = List.of();
    public String message = "";
    public String outcome;
    public String error;
  }

  private static CloudEvent event(CloudEventData data) {
    return CloudEventBuilder.v1()
        .withId("33-finished-2")
        .withSource(URI.create("/workers/gpu-7"))
        .withType("operator.job.finished")
        .withTime(OffsetDateTime.parse("2020-10-01T01:00:00Z"))
        .withExtension("partitionkey", "33-grün")
        .withExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .withData("application/json", data)
        .build();
  }

  private static Map<String, Object> record(String name, CloudEvent event, Map<String, ?> configuration) {
    Headers headers = new RecordHeaders();
    byte[] value;
    try (CloudEventSerializer serializer = new CloudEventSerializer()) {
      serializer.configure(configuration, false);
      value = serializer.serialize("job-events", headers, event);
    }
    List<Object[]> written = new ArrayList<>();
    for (Header header : headers) {
      written.add(new Object[] {header.key(), header.value()});
    }
    Map<String, Object> record = new LinkedHashMap<>();
    record.put("name", name);
    record.put("key", "33-grün".getBytes(StandardCharsets.UTF_8));
    record.put("value", value);
    record.put("headers", written);
    return record;
  }

  public static void main(String[] arguments) throws Exception {
    Job full = MAPPER.readValue(new File("full.json"), Job.class);
    Job sparse = new Job();
    sparse.owner = full.owner;
    sparse.agreementId = full.agreementId;
    sparse.jobId = full.jobId;
    Map<String, ?> structured =
        Map.of(
            CloudEventSerializer.ENCODING_CONFIG, Encoding.STRUCTURED,
            CloudEventSerializer.EVENT_FORMAT_CONFIG, JsonFormat.CONTENT_TYPE);
    Map<String, ?> binary = Map.of(CloudEventSerializer.ENCODING_CONFIG, Encoding.BINARY);
    Map<String, CloudEventData> datas = new LinkedHashMap<>();
    datas.put("full", PojoCloudEventData.wrap(full, MAPPER::writeValueAsBytes));
    datas.put("sparse", PojoCloudEventData.wrap(sparse, MAPPER::writeValueAsBytes));
    datas.put("bytes", BytesCloudEventData.wrap(MAPPER.writeValueAsBytes(full)));
    List<Object> records = new ArrayList<>();
    for (Map.Entry<String, CloudEventData> entry : datas.entrySet()) {
      records.add(record("structured " + entry.getKey(), event(entry.getValue()), structured));
      records.add(record("binary " + entry.getKey(), event(entry.getValue()), binary));
    }
    JsonFormat asBytes = new JsonFormat().withForceJsonDataToBase64();
    Map<String, ?> base64 =
        Map.of(
            CloudEventSerializer.ENCODING_CONFIG, Encoding.STRUCTURED,
            CloudEventSerializer.EVENT_FORMAT_CONFIG, asBytes);
    records.add(record("structured bytes, forced to base64", event(datas.get("bytes")), base64));
    Map<String, Object> output = new LinkedHashMap<>();
    output.put("sdk", "sdk-java");
    output.put("version", arguments[0]);
    output.put("records", records);
    System.out.println(MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(output));
  }
}
