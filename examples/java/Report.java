// java -cp 'lib/*' Report.java STAGE [OUTCOME]: with kafka-clients and slf4j-api in lib/; JDK 17.
// Values with quotes or backslashes in them want a JSON library.
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

class Report {
    public static void main(String[] arguments) throws Exception {
        var env = System.getenv();
        var outcome = arguments.length > 1 ? ",\"outcome\":\"" + arguments[1] + "\"" : "";
        var event = """
            {"specversion":"1.0","id":"%s","source":"/workers/java","type":"operator.job.%s","time":"%s",\
            "data":{"owner":"%s","agreementId":"%s","jobId":"%s"%s}}""".formatted(
            UUID.randomUUID(), arguments[0], Instant.now(), env.get("OPERATOR_OWNER"),
            env.get("OPERATOR_AGREEMENT_ID"), env.get("OPERATOR_JOB_ID"), outcome);
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", env.get("KAFKA_BOOTSTRAP_SERVERS"), "delivery.timeout.ms", 30000, "request.timeout.ms", 10000);
        var record = new ProducerRecord<>(env.getOrDefault("KAFKA_TOPIC", "job-events"), env.get("OPERATOR_JOB_ID"), event);
        record.headers().add("content-type", "application/cloudevents+json".getBytes());
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            System.out.println(producer.send(record).get());
        }
    }
}
