// Prints what the CloudEvents SDK of Go writes for Kafka, as its producer hands it to Sarama.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/IBM/sarama"
	kafka "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
)

// A struct without omitempty writes null for a pointer or slice that is nil, and "" for a string that was not set.
type job struct {
	Owner         string   `json:"owner"`
	AgreementID   string   `json:"agreementId"`
	JobID         string   `json:"jobId"`
	Attempt       *float64 `json:"attempt"`
	ConfiglogURL  *string  `json:"configlogURL"`
	PublishlogURL string   `json:"publishlogURL"`
	AlgologURL    string   `json:"algologURL"`
	OutputsURL    []string `json:"outputsURL"`
	Message       string   `json:"message"`
	Outcome       string   `json:"outcome"`
	Error         *string  `json:"error"`
}

type record struct {
	Name    string   `json:"name"`
	Key     []byte   `json:"key"`
	Value   []byte   `json:"value"`
	Headers [][2]any `json:"headers"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func encoded(encoder sarama.Encoder) []byte {
	if encoder == nil {
		return nil
	}
	bytes, err := encoder.Encode()
	must(err)
	return bytes
}

func event(data any) *cloudevents.Event {
	event := cloudevents.NewEvent()
	event.SetID("33-finished-2")
	event.SetSource("/workers/gpu-7")
	event.SetType("operator.job.finished")
	event.SetTime(time.Date(2020, 10, 1, 1, 0, 0, 0, time.UTC))
	event.SetExtension("partitionkey", "33-grün")
	event.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	must(event.SetData(cloudevents.ApplicationJSON, data))
	return &event
}

func write(name string, ctx context.Context, data any) record {
	message := &sarama.ProducerMessage{Key: sarama.StringEncoder("33-grün")}
	must(kafka.WriteProducerMessage(ctx, binding.ToMessage(event(data)), message))
	headers := [][2]any{}
	for _, header := range message.Headers {
		headers = append(headers, [2]any{string(header.Key), header.Value})
	}
	return record{name, encoded(message.Key), encoded(message.Value), headers}
}

func main() {
	text, err := os.ReadFile("full.json")
	must(err)
	var full, sparse job
	must(json.Unmarshal(text, &full))
	sparse = job{Owner: full.Owner, AgreementID: full.AgreementID, JobID: full.JobID}
	asBytes, err := json.Marshal(full)
	must(err)
	records := []record{}
	for _, item := range []struct {
		name string
		data any
	}{{"full", full}, {"sparse", sparse}, {"bytes", asBytes}} {
		records = append(records,
			write("structured "+item.name, binding.WithForceStructured(context.Background()), item.data),
			write("binary "+item.name, binding.WithForceBinary(context.Background()), item.data))
	}
	version := ""
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/cloudevents/sdk-go/v2" {
			version = module.Version
		}
	}
	output, err := json.MarshalIndent(map[string]any{"sdk": "sdk-go", "version": version, "records": records}, "", " ")
	must(err)
	fmt.Println(string(output))
}
