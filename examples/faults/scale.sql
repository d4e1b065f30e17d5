-- Counts per customer; the topic of orders has two partitions.

CREATE TABLE orders (
  customer STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE spent (
  customer STRING,
  orders BIGINT,
  total INT,
  PRIMARY KEY (customer) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.spent}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO spent SELECT customer, COUNT(*), SUM(amount) FROM orders GROUP BY customer;
