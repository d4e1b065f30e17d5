-- A temporal join: each payment at the rate that held when it was made.

CREATE TABLE payments (
  id STRING,
  currency STRING,
  amount DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.payments}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.emit.strategy' = 'on-event',
  'format' = 'json'
);

CREATE TABLE rates (
  currency STRING,
  rate DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts,
  PRIMARY KEY (currency) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.rates}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TABLE euros (
  id STRING,
  amount DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.euros}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO euros
  SELECT p.id, p.amount * r.rate
  FROM payments p
  JOIN rates FOR SYSTEM_TIME AS OF p.ts AS r ON p.currency = r.currency;
