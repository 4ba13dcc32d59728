"""A Celery task as a job: celery -A tasks worker."""

import os

from celery import Celery, Task

from operator_status import JobReporter

app = Celery("tasks", broker=os.environ.get("CELERY_BROKER", "redis://127.0.0.1:6379/1"))


@app.task(bind=True, acks_late=True)
def train(self: Task, owner: str, agreement_id: str, epochs: int) -> None:
    """Train; a retry is a new attempt, an exception a failure, and a task that is revoked was cancelled."""
    who = {"owner": owner, "agreement_id": agreement_id, "job_id": self.request.id, "attempt": self.request.retries + 1}
    with JobReporter(**who) as job:
        job.running()
        for epoch in range(epochs):
            job.running(message=f"epoch {epoch}")
        if epochs < 0:
            raise ValueError("epochs cannot be negative")
        job.uploading(outputs_url=[f"http://example.net/{self.request.id}/model"])
