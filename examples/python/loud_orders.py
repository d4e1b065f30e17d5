"""A PyFlink job: a Python function in SQL, from one topic to another.

    dev topic create orders loud_orders
    dev job run examples/python/loud_orders.py

It needs a session cluster with Python: `session: {python: true}` in the profile.
"""

import sys

from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf


@udf(result_type=DataTypes.STRING())
def loud(text):
    return text.upper() + "!"


def main(bootstrap="kafka.kafka:9092", source="orders", sink="loud_orders"):
    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    environment.create_temporary_function("loud", loud)
    environment.execute_sql(f"""
        CREATE TABLE orders (region STRING, amount INT) WITH (
          'connector' = 'kafka', 'topic' = '{source}', 'properties.bootstrap.servers' = '{bootstrap}',
          'scan.startup.mode' = 'earliest-offset', 'format' = 'json')""")
    environment.execute_sql(f"""
        CREATE TABLE loud_orders (region STRING, amount INT) WITH (
          'connector' = 'kafka', 'topic' = '{sink}', 'properties.bootstrap.servers' = '{bootstrap}', 'format' = 'json')""")
    # in a session cluster a job is started and not waited for; all INSERTs of it belong into one statement set
    job = environment.create_statement_set()
    job.add_insert_sql("INSERT INTO loud_orders SELECT loud(region), amount FROM orders")
    job.execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
