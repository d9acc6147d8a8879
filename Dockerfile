# AutoTrader in a container: python -m venv in one stage, only its result and a plain user in the other.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/autotrader
COPY requirements.lock ./
RUN /opt/autotrader/bin/python -m pip install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY core core
COPY jobs jobs
# The build tool and pip stay behind: nothing is installed in a running container.
RUN /opt/autotrader/bin/python -m pip install --quiet --no-deps --no-build-isolation . \
    && /opt/autotrader/bin/python -m pip uninstall --quiet --yes setuptools pip

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --home-dir /state --shell /usr/sbin/nologin autotrader \
    && mkdir /state \
    && chown autotrader:autotrader /state
COPY --from=build /opt/autotrader /opt/autotrader
ENV PATH=/opt/autotrader/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATE_DIR=/state \
    OPEN_BROWSER=never
USER 10001:10001
WORKDIR /state
VOLUME /state
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s --start-period=120s --retries=3 CMD ["autotrader", "healthcheck"]
ENTRYPOINT ["autotrader"]
CMD ["run"]
