#!/bin/bash
# Runs a class of Kafka: kafka-run-class.sh CLASS [argument...]
set -euo pipefail
home=$(cd "$(dirname "$0")/.." && pwd)
# by name and in order, as the archive of classes wants it
classpath=$(printf '%s:' "$home"/libs/*.jar)
share=(-Xshare:auto)
[[ -e $home/kafka.jsa ]] && share+=("-XX:SharedArchiveFile=$home/kafka.jsa")
# these two hold several options each
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC} "${share[@]}" \
  ${KAFKA_OPTS:-} "-Dlog4j2.configurationFile=${KAFKA_LOG4J:-$home/config/tools-log4j2.yaml}" -cp "${classpath%:}" "$@"
