-- A tumbling window of a minute, in event time. Records that are later than 5 seconds are dropped.

CREATE TABLE orders (
  id STRING,
  region STRING,
  amount INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  -- a watermark after each record, so that what is late does not depend on the machine's speed
  'scan.watermark.emit.strategy' = 'on-event',
  'format' = 'json'
);

CREATE TABLE totals (
  window_start TIMESTAMP(3),
  window_end TIMESTAMP(3),
  region STRING,
  orders BIGINT,
  total INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.totals}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO totals
  SELECT window_start, window_end, region, COUNT(*), SUM(amount)
  FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, region;
