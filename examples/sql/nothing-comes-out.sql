-- A negative case: no order is big enough.

CREATE TABLE orders (
  id STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE alarms (
  id STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.alarms}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO alarms SELECT id, amount FROM orders WHERE amount > 1000;
