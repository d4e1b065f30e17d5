-- Totals of regions, with the name of the script that wrote them.

CREATE TABLE orders (
  region STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE totals (
  region STRING,
  total INT,
  written_by STRING,
  PRIMARY KEY (region) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.totals}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO totals SELECT region, SUM(amount), 'the first' FROM orders GROUP BY region;
