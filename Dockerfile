# docker build -t gateway .                                            on the CPU
# docker build -t gateway-cuda --target cuda .                         with the CUDA libraries; run it with --gpus all
# docker build -t gateway-base --target baked --build-arg MODEL=base . with a model inside, for machines without a network
# docker build -t gateway-ray --build-arg EXTRAS=ray .                 with more of the project's extras, for all targets

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
RUN python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
ARG EXTRAS=
# Wheels alone: the image has no compiler.
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install --only-binary :all: ".${EXTRAS:+[$EXTRAS]}"

FROM build AS build-cuda
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install --only-binary :all: ".[cuda]"

FROM python:3.12-slim AS runtime
ENV HF_HOME=/var/cache/huggingface \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# A numeric user, so that Kubernetes can check runAsNonRoot; the volume is created with its owner. Nothing else is written
# but /tmp, so the root file system may be read-only.
RUN useradd --uid 10001 --create-home gateway && install -d -o 10001 -g 10001 "$HF_HOME"
USER 10001:10001
WORKDIR /home/gateway
VOLUME /var/cache/huggingface
EXPOSE 8000
# http.client rather than urllib, which would ask a proxy named in the environment. The certificate is for the clients'
# name, not for this address. The first start may download a model.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os, ssl, sys; e = os.environ.get; at = ('127.0.0.1', int(e('GATEWAY_PORT', 8000))); c = h.HTTPSConnection(*at, timeout=4, context=ssl._create_unverified_context()) if e('GATEWAY_SSL_CERTFILE') else h.HTTPConnection(*at, timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/venv /opt/venv

FROM runtime AS cpu
COPY --from=build /opt/venv /opt/venv

FROM cpu AS baked
ARG MODEL=base
USER root
# Not in the volume, which would hide it.
ENV HF_HUB_CACHE=/opt/models GATEWAY_MODEL=$MODEL
RUN gateway models pull "$MODEL"
USER 10001:10001

# What is built where no target is named.
FROM cpu
