// npm install && node report.mjs STAGE [OUTCOME]
import { randomUUID } from "node:crypto";
import { Kafka, Partitioners } from "kafkajs";

const { KAFKA_BOOTSTRAP_SERVERS, KAFKA_TOPIC = "job-events" } = process.env;
const { OPERATOR_OWNER: owner, OPERATOR_AGREEMENT_ID: agreementId, OPERATOR_JOB_ID: jobId } = process.env;
const [stage, outcome] = process.argv.slice(2);
const event = {
  specversion: "1.0",
  id: randomUUID(),
  source: "/workers/node",
  type: `operator.job.${stage}`,
  time: new Date().toISOString(),
  data: { owner, agreementId, jobId, outcome },
};
const kafka = new Kafka({ clientId: "worker", brokers: KAFKA_BOOTSTRAP_SERVERS.split(",") });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });
await producer.connect();
const headers = { "content-type": "application/cloudevents+json" };
await producer.send({ topic: KAFKA_TOPIC, acks: -1, messages: [{ key: jobId, value: JSON.stringify(event), headers }] });
await producer.disconnect();
