# One image for every command of the project:
#   docker run IMAGE api                   the HTTP server (the default)
#   docker run IMAGE projector run         a projector
#   docker run IMAGE worker publish ...    one event
# Where packages come through a mirror, tell pip from outside: --build-arg PIP_INDEX_URL=...
# A build that must be the same every time names its base by digest: --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Without pip in it: what is not there cannot be used by whoever breaks in.
RUN python -m venv --without-pip /opt/venv
COPY requirements-run.lock .
RUN python -m pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements-run.lock
WORKDIR /app
COPY . .
RUN python -m compileall -q /app /opt/venv

FROM ${PYTHON_IMAGE}
# What installs packages is of no use here, but to whoever breaks in.
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip*
LABEL org.opencontainers.image.title="Operator status" \
      org.opencontainers.image.description="Job status for compute workers: Kafka lifecycle events folded into Redis, answered over HTTP." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# In a container others must be able to connect; who may is decided where ports are published.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 \
    API_PORT=8080 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9464
USER 10001:10001
EXPOSE 8080 9464
# A container runs the API or a projector: the one that answers is alive.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD \
    ["python", "-S", "-m", "service.alive"]
ENTRYPOINT ["python", "-m"]
CMD ["api"]
