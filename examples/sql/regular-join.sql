-- A regular join: both sides may come in any order, and a later row of a customer corrects what was given out.

CREATE TABLE orders (
  id STRING,
  customer STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE customers (
  customer STRING,
  city STRING,
  PRIMARY KEY (customer) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.customers}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TABLE enriched (
  id STRING,
  city STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.enriched}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO enriched
  SELECT o.id, c.city FROM orders o JOIN customers c ON o.customer = c.customer;
