// go run . STAGE [OUTCOME]
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

func main() {
	data := map[string]any{"owner": os.Getenv("OPERATOR_OWNER"), "agreementId": os.Getenv("OPERATOR_AGREEMENT_ID"),
		"jobId": os.Getenv("OPERATOR_JOB_ID"), "outcome": append(os.Args, "")[2]} // "" counts as not given
	now := time.Now().UTC().Format(time.RFC3339Nano)
	event, _ := json.Marshal(map[string]any{"specversion": "1.0", "id": os.Args[1] + "-" + now, "source": "/workers/go",
		"type": "operator.job." + os.Args[1], "time": now, "data": data})
	writer := kafka.Writer{Addr: kafka.TCP(os.Getenv("KAFKA_BOOTSTRAP_SERVERS")), RequiredAcks: kafka.RequireAll,
		Topic: cmp.Or(os.Getenv("KAFKA_TOPIC"), "job-events"), Balancer: kafka.Murmur2Balancer{}, BatchSize: 1}
	header := kafka.Header{Key: "content-type", Value: []byte("application/cloudevents+json")}
	message := kafka.Message{Key: []byte(os.Getenv("OPERATOR_JOB_ID")), Value: event, Headers: []kafka.Header{header}}
	if err := writer.WriteMessages(context.Background(), message); err != nil {
		log.Fatal(err)
	}
}
