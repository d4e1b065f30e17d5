-- Numbers in, numbers out, each with how many there have been: the count is the job's state. What is written becomes
-- readable with the next checkpoint.
CREATE TEMPORARY TABLE numbers (
  n BIGINT,
  proc AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.in}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);
CREATE TEMPORARY TABLE counted (
  n BIGINT,
  seen BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.out}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = '${topic.out}',
  -- the broker takes no more than 15 minutes
  'properties.transaction.timeout.ms' = '300000',
  'format' = 'json'
);
INSERT INTO counted
SELECT n, COUNT(*) OVER (ORDER BY proc ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM numbers;
