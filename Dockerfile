# docker build -t bayesinf . && docker run --rm -v "$PWD:/work" bayesinf gaussian_peaks --data spectrum.csv
FROM python:3.12-slim
ENV MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba BAYESINF_CACHE=/tmp/bayesinf
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip install --no-cache-dir --constraint /source/constraints.txt /source && rm -rf /source
WORKDIR /work
ENTRYPOINT ["bayesinf"]
CMD ["list"]
