-- Comma-separated values in, JSON out.

CREATE TABLE trips (
  city STRING,
  km DOUBLE,
  note STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.trips}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'csv'
);

CREATE TABLE long_trips (
  city STRING,
  km DOUBLE,
  note STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.long_trips}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'csv'
);

INSERT INTO long_trips SELECT city, km, note FROM trips WHERE km >= 10;
