CREATE TABLE payments (
  id BIGINT NOT NULL,
  customer STRING,
  amount DECIMAL(10, 2),
  `at` TIMESTAMP(3)
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.payments}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'avro'
);

CREATE TABLE large_payments (
  id BIGINT NOT NULL,
  customer STRING,
  amount DECIMAL(10, 2),
  `day` DATE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.large_payments}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'avro'
);

INSERT INTO large_payments
SELECT id, customer, amount, CAST(`at` AS DATE) FROM payments WHERE amount >= 100;
