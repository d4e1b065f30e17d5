# In a pod of the session image:
#   gateway REST HOST PORT   serves statements at port 8083
#   wait                     nothing, for programs that are started in it
#   client REST HOST PORT SQL  Flink's client on the terminal, after the statements of SQL
set -euo pipefail
mode=$1 home=${FLINK_HOME:-/opt/flink}
[[ $mode == wait ]] && exec sleep infinity
host=$2 port=$3

# in the order of the archive of classes, where the image has one
classpath='' share=(-Xshare:auto)
declare -A listed=()
if [[ -e $home/cds/classpath ]]; then
  while read -r jar; do
    listed[$jar]=1
    classpath+=$home/lib/$jar:
  done <"$home/cds/classpath"
  [[ -e $home/cds/flink.jsa ]] && share+=("-XX:SharedArchiveFile=$home/cds/flink.jsa")
fi
for jar in "$home"/lib/*.jar; do
  [[ -n ${listed[${jar##*/}]:-} ]] || classpath+=$jar:
done
# the client looks for classes of flink-python before it reads its arguments
for name in flink-sql-client flink-sql-gateway flink-python; do
  [[ $classpath == *"/lib/$name-"* ]] && continue
  jars=("$home"/opt/$name-*.jar)
  if [[ ! -e ${jars[0]} ]]; then
    echo "the image has no $name in $home/opt" >&2
    exit 3
  fi
  classpath+=${jars[0]}:
done

opens=()
for package in lang lang.reflect net nio text time util util.concurrent util.concurrent.atomic util.concurrent.locks io; do
  opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
# the terminal is the user's: what is logged goes elsewhere
cat >/tmp/log4j2.properties <<LOG
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = Out
appender.out.name = Out
appender.out.type = $([[ $mode == gateway ]] && echo Console || echo File)
$([[ $mode == gateway ]] || echo appender.out.fileName = /tmp/client.log)
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-60c %x - %m%n
LOG
cluster=("-Dexecution.target=remote" "-Drest.address=$host" "-Drest.port=$port")
java=(java -Xmx320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${share[@]}" "${opens[@]}"
  -Dlog4j2.configurationFile=/tmp/log4j2.properties -cp "${classpath%:}")
case $mode in
  gateway)
    exec "${java[@]}" org.apache.flink.table.gateway.SqlGateway "${cluster[@]}" \
      -Dsql-gateway.endpoint.rest.address=0.0.0.0 -Dsql-gateway.endpoint.rest.bind-address=0.0.0.0
    ;;
  client)
    printf '%s\n' "$4" >/tmp/init.sql
    exec "${java[@]}" org.apache.flink.table.client.SqlClient embedded "${cluster[@]}" --init /tmp/init.sql
    ;;
esac
