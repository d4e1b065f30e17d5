#!/bin/bash
# First process of the container, with the published image's command "operator".
# There is no webhook in this image.
set -euo pipefail
home=/flink-kubernetes-operator
case ${1:-operator} in
  operator)
    # the order matters: the operator has its own versions of some of Flink's classes
    share=(-Xshare:auto)
    [[ -e $home/operator.jsa ]] && share+=("-XX:SharedArchiveFile=$home/operator.jsa")
    classpath=$(printf '%s:' "$home"/lib/*.jar)
    # Without the second compiler, which takes half of the processor time of a start and
    # which a program that mostly waits has nothing from; JVM_ARGS can take it back.
    # LOG_CONFIG and JVM_ARGS hold options for Java, from the Deployment
    # shellcheck disable=SC2086
    exec java -XX:TieredStopAtLevel=1 "${share[@]}" ${LOG_CONFIG:-} ${JVM_ARGS:-} -cp "${classpath%:}" org.apache.flink.kubernetes.operator.FlinkOperator
    ;;
  webhook)
    echo "docker-entrypoint.sh: this image has no webhook" >&2
    exit 1
    ;;
  *) exec "$@" ;;
esac
