-- Sessions: clicks of a user that are less than 30 seconds apart.

CREATE TABLE clicks (
  user_id STRING,
  page STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '30' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.clicks}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.emit.strategy' = 'on-event',
  'format' = 'json'
);

CREATE TABLE sessions (
  user_id STRING,
  began TIMESTAMP(3),
  ended TIMESTAMP(3),
  clicks BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.sessions}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO sessions
  SELECT user_id, window_start, window_end, COUNT(*)
  FROM TABLE(SESSION(TABLE clicks PARTITION BY user_id, DESCRIPTOR(ts), INTERVAL '30' SECOND))
  GROUP BY user_id, window_start, window_end;
