-- A statement set with a place for what is wrong: good rows go on, the others to a dead letter topic.

CREATE TABLE readings (
  sensor STRING,
  temperature DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.readings}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE good (
  sensor STRING,
  temperature DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.good}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

CREATE TABLE dead_letters (
  sensor STRING,
  why STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.dead_letters}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'format' = 'json'
);

EXECUTE STATEMENT SET
BEGIN
  INSERT INTO good
    SELECT sensor, temperature FROM readings WHERE sensor IS NOT NULL AND temperature BETWEEN -90 AND 60;
  INSERT INTO dead_letters
    SELECT sensor, CASE WHEN sensor IS NULL THEN 'no sensor' ELSE 'out of range' END
    FROM readings
    WHERE sensor IS NULL OR temperature IS NULL OR temperature NOT BETWEEN -90 AND 60;
END;
