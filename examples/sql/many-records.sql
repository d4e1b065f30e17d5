-- Many records into few rows: the sum and the number of a thousand payments for each of four accounts.

CREATE TABLE payments (
  account STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.payments}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE totals (
  account STRING,
  payments BIGINT,
  total BIGINT,
  PRIMARY KEY (account) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.totals}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO totals SELECT account, COUNT(*), SUM(CAST(amount AS BIGINT)) FROM payments GROUP BY account;
