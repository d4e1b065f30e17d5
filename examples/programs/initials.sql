-- A function of one's own: its class is in the jar that the case brings along.
CREATE TEMPORARY FUNCTION initials AS 'com.example.programs.Initials';

CREATE TABLE people (name STRING) WITH (
  'connector' = 'kafka', 'topic' = '${topic.people}', 'properties.bootstrap.servers' = '${kafka.bootstrap}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json');

CREATE TABLE signatures (name STRING, signature STRING) WITH (
  'connector' = 'kafka', 'topic' = '${topic.signatures}', 'properties.bootstrap.servers' = '${kafka.bootstrap}', 'format' = 'json');

INSERT INTO signatures SELECT name, initials(name) FROM people;
