-- Deduplication: the newest state of each device, in event time.

CREATE TABLE states (
  device STRING,
  state STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.states}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE newest (
  device STRING,
  state STRING,
  PRIMARY KEY (device) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.newest}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO newest
  SELECT device, state FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY ts DESC) AS n FROM states
  ) WHERE n = 1;
