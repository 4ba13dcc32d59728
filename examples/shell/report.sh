#!/bin/sh
# report.sh STAGE [OUTCOME]: with kcat, and nothing of ours. Values with quotes or backslashes in them want jq.
set -eu
event='{"specversion":"1.0","id":"%s","source":"/workers/%s","type":"operator.job.%s","time":"%s",'
event=$event'"data":{"owner":"%s","agreementId":"%s","jobId":"%s","outcome":"%s"}}\n' # "" counts as not given
# shellcheck disable=SC2059 # the format is the event
printf "$event" "$(cat /proc/sys/kernel/random/uuid)" "$(hostname)" "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  "$OPERATOR_OWNER" "$OPERATOR_AGREEMENT_ID" "$OPERATOR_JOB_ID" "${2:-}" |
  kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${KAFKA_TOPIC:-job-events}" -k "$OPERATOR_JOB_ID" \
    -H content-type=application/cloudevents+json -X acks=all -X message.timeout.ms=30000
