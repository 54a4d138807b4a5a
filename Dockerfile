# raysearch with the packages of constraints.txt. At the root of a checkout:
#   docker build -t raysearch .
#   docker run --rm --shm-size=8g -v "$PWD:/work" raysearch raysearch run quickstart
# With NVIDIA's container toolkit on a machine with GPUs:
#   docker run --rm --shm-size=8g --gpus all -v "$PWD:/work" raysearch raysearch doctor
# torch is PyPI's build, with CUDA. For a CPU alone, an image of a third of the size:
#   docker build --build-arg TORCH_INDEX=URL -t raysearch:cpu .    URL: PyTorch's index of CPU builds
# The folder that is mounted must be writable by the user 1000.
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY raysearch raysearch
COPY search_spaces search_spaces
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim-bookworm
# The probes of KubeRay call wget.
RUN apt-get update && apt-get install -y --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home --uid 1000 ray
COPY constraints.txt /tmp/constraints.txt
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir -c /tmp/constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /tmp/wheel/raysearch-*.whl)[samplers]"
ENV RAY_USAGE_STATS_ENABLED=0
USER ray
WORKDIR /work
CMD ["raysearch"]
