-- Filter and projection: which rows go on, and which columns of them.

CREATE TABLE orders (
  id STRING,
  region STRING,
  amount DECIMAL(10, 2),
  note STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE big (
  id STRING,
  region STRING,
  with_tax DECIMAL(12, 2),
  note STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.big}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO big
  SELECT id, UPPER(region), CAST(amount * 1.19 AS DECIMAL(12, 2)), COALESCE(note, '-')
  FROM orders
  WHERE amount >= 100 AND region <> 'test';
