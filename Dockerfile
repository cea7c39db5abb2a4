# The gateway alone, without build tools, as a user who owns nothing.
#
#   docker build -t pointsman .                                     # the gateway alone
#   docker build --build-arg LOCK=requirements-full.lock -t pointsman .   # with all extras
#   docker build --target native -t pointsman .                     # the request path as machine code, see docs/deploy.md
#   docker run --read-only --tmpfs /var/lib/pointsman:uid=10001 -p 4000:4000 \
#       -v "$PWD/rules.yaml:/etc/pointsman/rules.yaml:ro" pointsman
#
# A container listens on all its addresses, so the rules file must say who may call: give it `keys:`, or
# `server: {open: true}` where something else guards the port. Without either the gateway refuses to start.
# Mount the folder instead of the file if an editor replaces files, so that a reload sees the new one.

FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
ARG LOCK=requirements.lock
COPY requirements.lock requirements-full.lock requirements-build.lock ./
RUN python -m venv /opt/pointsman \
    && /opt/pointsman/bin/pip install --require-hashes -r "$LOCK" \
    && pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE server.py ./
COPY engine engine
COPY schema schema
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/pointsman/bin/pip install --no-index --no-deps /dist/*.whl \
    && /opt/pointsman/bin/pip uninstall --yes pip

FROM build AS build-native
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY requirements-native.lock ./
RUN pip install --require-hashes -r requirements-native.lock
COPY scripts/native.py scripts/
RUN python scripts/native.py --python /opt/pointsman/bin/python \
    && cp -r build/native/engine build/native/server.py build/native/*.so \
        "$(/opt/pointsman/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

FROM python:3.13-slim-trixie AS base
RUN useradd --system --uid 10001 --home-dir /var/lib/pointsman --create-home pointsman
ENV PATH=/opt/pointsman/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER pointsman
# Spools and relative log files are written here; everything else may be read-only.
WORKDIR /var/lib/pointsman
EXPOSE 4000 4001
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["python", "-c", \
    "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:4000/health/live', timeout=2)"]
ENTRYPOINT ["pointsman"]
CMD ["serve", "/etc/pointsman/rules.yaml", "--host", "0.0.0.0"]

FROM base AS native
COPY --from=build-native /opt/pointsman /opt/pointsman

FROM base
COPY --from=build /opt/pointsman /opt/pointsman
