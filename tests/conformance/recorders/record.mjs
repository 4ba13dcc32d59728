// Prints what the CloudEvents SDK of JavaScript writes for Kafka.
// Clients of Kafka take bytes or text: objects are written as JSON, and headers without a value as null, as kafkajs does.
import { readFileSync } from "node:fs";
import { CloudEvent, Kafka } from "cloudevents";

const beside = (name) => new URL(name, import.meta.url);
const full = JSON.parse(readFileSync(beside("full.json"), "utf8"));
const { owner, agreementId, jobId } = full;
const nothing = { attempt: null, configlogURL: null, publishlogURL: null, algologURL: null, outcome: null, error: null };
const sparse = { owner, agreementId, jobId, ...nothing, outputsURL: [], message: "" };

const event = (data) =>
  new CloudEvent({
    id: "33-finished-2",
    source: "/workers/gpu-7",
    type: "operator.job.finished",
    time: new Date(Date.UTC(2020, 9, 1, 1)).toISOString(),
    datacontenttype: "application/json",
    partitionkey: jobId,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    data,
  });
const bytes = (it) => Buffer.from(typeof it === "string" || it instanceof Uint8Array ? it : JSON.stringify(it));
const base64 = (it) => (it === undefined || it === null ? null : bytes(it).toString("base64"));
const record = (name, { key, value, headers }) => ({
  name,
  key: base64(key),
  value: base64(value),
  headers: Object.entries(headers).map(([header, content]) => [header, base64(content)]),
});

const asBytes = new Uint8Array(Buffer.from(JSON.stringify(full)));
const records = Object.entries({ full, sparse, bytes: asBytes }).flatMap(([name, data]) => [
  record(`structured ${name}`, Kafka.structured(event(data))),
  record(`binary ${name}`, Kafka.binary(event(data))),
]);
const { version } = JSON.parse(readFileSync(process.argv[2] ?? "node_modules/cloudevents/package.json", "utf8"));
console.log(JSON.stringify({ sdk: "cloudevents (npm)", version, records }, null, 1));
