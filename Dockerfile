# A scheduler or worker of docs/cluster.md, for processor cores:
#     docker build -t avmil .
# for GPUs:
#     docker build -t avmil-gpu --build-arg EXTRA=gpu .
FROM python:3.11-slim

# OpenCV and PyAV bring their own libraries.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /avmil
COPY . .
RUN make install
ARG EXTRA=cluster
RUN .venv/bin/pip install --no-cache-dir -c constraints.txt \
    --editable ".[test,cluster,$EXTRA]"
ENV PATH=/avmil/.venv/bin:$PATH \
    DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0
CMD ["dask", "worker", "--help"]
