"""Kafka as the projector sees it: topics, records, codecs."""
