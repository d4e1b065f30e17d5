-- One script, many sets of values: `${var.NAME}` is put in by the case. Times and headers go from record to record.

CREATE TABLE orders (
  id STRING,
  amount DECIMAL(38, 18),
  sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  headers MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  -- numbers in JSON with all of their digits
  'json.encode.decimal-as-plain-number' = 'true'
);

CREATE TABLE picked (
  id STRING,
  amount DECIMAL(38, 18),
  sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  headers MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.picked}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'key.format' = 'raw',
  'key.fields' = 'id',
  'value.format' = 'json',
  'value.json.encode.decimal-as-plain-number' = 'true'
);

INSERT INTO picked
  SELECT id, amount, sent, headers FROM orders WHERE id = '${var.id}';
