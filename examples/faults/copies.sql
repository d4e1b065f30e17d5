-- Copies orders, exactly once: what is written becomes readable with the next checkpoint. Several cases run it.

SET 'execution.checkpointing.interval' = '500 ms';
-- a job of a test has no need to wait before it starts again
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '100';
SET 'restart-strategy.fixed-delay.delay' = '100 ms';

CREATE TABLE orders (
  id INT,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.orders}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE copies (
  id INT,
  amount INT
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic.copies}',
  'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = '${topic.copies}',
  -- the broker takes no more than 15 minutes
  'properties.transaction.timeout.ms' = '60000',
  'format' = 'json'
);

INSERT INTO copies SELECT id, amount * 2 FROM orders;
