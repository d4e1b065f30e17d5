-- What Kafka says of a record beside its value: key, headers, time, partition.

CREATE TABLE events (
  user_id STRING,
  page STRING,
  sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  kafka_partition INT METADATA FROM 'partition' VIRTUAL,
  headers MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.events}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'user_id',
  'value.format' = 'json',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE seen (
  user_id STRING,
  page STRING,
  sent BIGINT,
  kafka_partition INT,
  source STRING,
  id STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.seen}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO seen
  SELECT user_id, page, TIMESTAMPDIFF(SECOND, TO_TIMESTAMP_LTZ(0, 3), sent), kafka_partition,
         CAST(headers['source'] AS STRING), UUID()
  FROM events;
