# A Prefect worker with everything a stage needs, and the servers of compose.yaml. By itself, in this checkout, which keeps
# what comes out; it deploys first, as a deployment holds the path of its checkout, and here that is /app:
#   docker build -t mlpo .
#   docker run --init --user "$(id -u)" --env HOME=/app/.mlpo/home --volume "$PWD:/app" \
#     --env PREFECT_API_URL=http://host:4200/api --env MLFLOW_TRACKING_URI=http://host:5000 \
#     mlpo make --old-file=install VENV=none worker
FROM python:3.11-slim-bookworm

# Debian serves only the newest version of a package, so a pinned one would not build next month.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 mlpo

# TOKENIZERS_PARALLELISM is no secret.
# hadolint ignore=DL3064
ENV PATH=/opt/venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    TOKENIZERS_PARALLELISM=false \
    USER=mlpo

# The lock alone, so that a change of code does not install again; without two programs of 200 MB that only tests run.
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
    && pip install --constraint requirements.lock torch==2.13.0 \
    && grep --invert-match --extended-regexp '^(hadolint|seaweedfs)-bin=' requirements.lock > /tmp/lock \
    && pip install --no-deps --requirement /tmp/lock \
    && rm /tmp/lock

COPY --chown=mlpo:mlpo . .
RUN pip install --no-deps --no-build-isolation --editable . \
    && chown mlpo:mlpo /app

USER 1000
# Exec form: the worker is process 1's child and gets SIGTERM; it ends its flows, and they end their stages.
CMD ["prefect", "worker", "start", "--pool", "local", "--type", "process"]
