-- Top-N: the two products of each category that sold best.

CREATE TABLE sales (
  category STRING,
  product STRING,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.sales}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE best (
  category STRING,
  place BIGINT,
  product STRING,
  sold INT,
  PRIMARY KEY (category, place) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${topic.best}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO best
  SELECT category, place, product, sold FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY category ORDER BY sold DESC, product) AS place
    FROM (SELECT category, product, SUM(amount) AS sold FROM sales GROUP BY category, product)
  ) WHERE place <= 2;
