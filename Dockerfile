# docker build -t gateway .                            on the CPU
# docker build -t gateway-cuda --build-arg EXTRAS=cuda .   with the CUDA libraries; run it with --gpus all

FROM python:3.12-slim AS build
ARG EXTRAS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
RUN python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.12-slim
ENV HF_HOME=/var/cache/huggingface \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# A numeric user, so that Kubernetes can check runAsNonRoot; the volume is created with its owner.
RUN useradd --uid 10001 --create-home gateway && install -d -o 10001 -g 10001 "$HF_HOME"
COPY --from=build /opt/venv /opt/venv
USER 10001:10001
WORKDIR /home/gateway
VOLUME /var/cache/huggingface
EXPOSE 8000
# http.client rather than urllib, which would ask a proxy named in the environment. The first start may download a model.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0"]
