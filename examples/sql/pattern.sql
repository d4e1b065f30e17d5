-- MATCH_RECOGNIZE: three falls of a price in a row.

CREATE TABLE prices (
  symbol STRING,
  price INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.prices}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.emit.strategy' = 'on-event',
  'format' = 'json'
);

CREATE TABLE falls (
  symbol STRING,
  from_price INT,
  to_price INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.falls}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

INSERT INTO falls
  SELECT symbol, from_price, to_price
  FROM prices MATCH_RECOGNIZE (
    PARTITION BY symbol
    ORDER BY ts
    MEASURES FIRST(PRICE_BEFORE.price) AS from_price, LAST(FALL.price) AS to_price
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (PRICE_BEFORE FALL{3})
    DEFINE FALL AS FALL.price < LAST(FALL.price, 1) OR (LAST(FALL.price, 1) IS NULL AND FALL.price < PRICE_BEFORE.price)
  );
