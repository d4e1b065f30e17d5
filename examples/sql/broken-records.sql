-- Records that do not fit the schema: passed over here, rather than ending the job.

CREATE TABLE orders (
  id STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'json.ignore-parse-errors' = 'true',
  'format' = 'json'
);

CREATE TABLE accepted (
  id STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.accepted}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO accepted SELECT id, amount FROM orders WHERE amount IS NOT NULL;
