-- Totals per region, and the big orders by themselves: two INSERTs that run as one job.

CREATE TABLE orders (
  id     STRING,
  region STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

-- one row a region, which each order updates: an upsert table
CREATE TABLE totals (
  region STRING,
  orders BIGINT,
  total  INT,
  PRIMARY KEY (region) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.totals}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TABLE big_orders (
  id     STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.big_orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO totals
  SELECT region, COUNT(*), SUM(amount) FROM orders GROUP BY region;

INSERT INTO big_orders
  SELECT id, amount FROM orders WHERE amount >= 100;
