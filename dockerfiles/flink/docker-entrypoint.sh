#!/bin/bash
# First process of the container, with the commands of the published image.
set -euo pipefail

# plugins of the distribution, switched on by name: ENABLE_BUILT_IN_PLUGINS="a.jar;b.jar"
IFS=';' read -ra plugins <<<"${ENABLE_BUILT_IN_PLUGINS:-}"
for plugin in "${plugins[@]}"; do
  [[ -n $plugin ]] || continue
  if [[ ! -e $FLINK_HOME/opt/$plugin ]]; then
    echo "docker-entrypoint.sh: no plugin $plugin in $FLINK_HOME/opt" >&2
    exit 1
  fi
  mkdir -p "$FLINK_HOME/plugins/${plugin%.jar}"
  ln -fs "$FLINK_HOME/opt/$plugin" "$FLINK_HOME/plugins/${plugin%.jar}/"
done

# settings from the environment, as lines "key: value", on top of config.yaml
if [[ -n ${FLINK_PROPERTIES:-} ]]; then
  printf '%s\n' "$FLINK_PROPERTIES" >>"${FLINK_CONF_DIR:-$FLINK_HOME/conf}/config.yaml"
fi

case ${1:-help} in
  help) echo "docker-entrypoint.sh jobmanager|standalone-job|taskmanager|COMMAND [argument...]" ;;
  jobmanager) shift; exec "$FLINK_HOME/bin/launch" jobmanager org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint "$@" ;;
  standalone-job) shift; exec "$FLINK_HOME/bin/launch" jobmanager org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint "$@" ;;
  taskmanager) shift; exec "$FLINK_HOME/bin/launch" taskmanager org.apache.flink.runtime.taskexecutor.TaskManagerRunner "$@" ;;
  *) exec "$@" ;;
esac
