"""Kafka to Redis: consume, fold, apply, dead letters."""
