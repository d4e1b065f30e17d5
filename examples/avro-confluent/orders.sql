CREATE TABLE orders (
  id BIGINT NOT NULL,
  customer STRING,
  amount DECIMAL(10, 2) NOT NULL,
  `at` TIMESTAMP(3)
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'avro-confluent',
  'avro-confluent.url' = '${registry.url}'
);

CREATE TABLE large_orders (
  id BIGINT NOT NULL,
  customer STRING,
  with_tax DECIMAL(12, 2),
  `day` DATE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.large_orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'avro-confluent',
  'avro-confluent.url' = '${registry.url}'
);

INSERT INTO large_orders
SELECT id, customer, CAST(amount * 1.19 AS DECIMAL(12, 2)), CAST(`at` AS DATE) FROM orders WHERE amount >= 100;
