-- What a fleet shipped with SHIP_FORM=json, asked by DuckDB where it lies:
--   duckdb -cmd "set variable fleet = '/srv/fleet/**/*.json.zst'" -init fleet.sql
-- and then, for instance:
--   from pis;                                              one row a Pi
--   from hourly where label = 'dog_bark' order by hour;    events an hour
--   from models;                                           which model runs where
-- An entry that came twice counts once. Times are UTC.
-- To ask often, write each day once: copy (from entries) to 'day.parquet'; and put that in the place of the view:
--   create or replace view entries as from 'days/*.parquet';

-- One row an entry. Whatever is no number where there should be one is null.
create or replace view entries as
select distinct on (_BOOT_ID, __MONOTONIC_TIMESTAMP)
  _HOSTNAME as host,
  _MACHINE_ID as machine_id,
  AUDIOMON_INSTANCE as instance,
  make_timestamp(try_cast(__REALTIME_TIMESTAMP as bigint)) as time,
  case MESSAGE_ID
    when '8212f84d57314ff5baabb6f00d4597ea' then 'event-on'
    when '54ad5b807b494f089983a9b74a984abd' then 'event-off'
    when 'f5a41f9dad494766a0045b713864076b' then 'prediction'
    when '32a56a28bcf34f55a062370ab2c1f7d7' then 'summary'
    when '14172f91e903468398ab1b55a21ba5bf' then 'listening'
    when '4da4f4a307ea4c1ba22523a6ff8f52e2' then 'model-swapped'
    when 'ae93806d9c744f58a4c33fe347bd17a7' then 'config-applied'
    when '1ad47fa221684966a672642bcdaf8e3b' then 'model-reverted'
    when 'ffafeefdfe3c4e448db023558bb477f3' then 'audio-lost'
    when '4f1fc1cf59d64e8d838a618674c6cbd4' then 'undelivered'
    when '0627d4f34b1944cc904df09c74fd1b90' then 'device-back'
    when 'ab2f947a7dda4dc99f97f0f696bb47f9' then 'stopped'
    else 'other'
  end as kind,
  try_cast(PRIORITY as integer) as priority,
  MESSAGE as message,
  AUDIOMON_LABEL as label,
  try_cast(AUDIOMON_SCORE as float) as score,
  try_cast(AUDIOMON_DURATION_S as double) as duration_s,
  AUDIOMON_MODEL as model,
  AUDIOMON_MODEL_SHA256 as model_sha256,
  AUDIOMON_HEALTH as health,
  try_cast(AUDIOMON_HEARD_S as double) as heard_s,
  try_cast(AUDIOMON_LAG_MS_P99 as double) as lag_ms_p99,
  -- Samples not heard, by cause, where they are reported one by one; summaries have the sums of the same.
  kind in ('audio-lost', 'undelivered', 'model-swapped', 'config-applied', 'device-back') as tells_losses,
  case when tells_losses then coalesce(try_cast(AUDIOMON_LOST as bigint), 0) else 0 end as lost,
  case when tells_losses then coalesce(try_cast(AUDIOMON_LOST_AWAY as bigint), 0) else 0 end as lost_away,
  case when tells_losses then coalesce(try_cast(AUDIOMON_LOST_REOPENED as bigint), 0) else 0 end as lost_reopened,
  case when tells_losses then coalesce(try_cast(AUDIOMON_UNDELIVERED as bigint), 0) else 0 end as undelivered
from read_json(
  getvariable('fleet'),
  format = 'newline_delimited',
  hive_partitioning = false,
  columns = {
    __REALTIME_TIMESTAMP: 'varchar', __MONOTONIC_TIMESTAMP: 'varchar', _BOOT_ID: 'varchar', _HOSTNAME: 'varchar',
    _MACHINE_ID: 'varchar', MESSAGE_ID: 'varchar', PRIORITY: 'varchar', MESSAGE: 'varchar',
    AUDIOMON_INSTANCE: 'varchar', AUDIOMON_LABEL: 'varchar', AUDIOMON_SCORE: 'varchar', AUDIOMON_DURATION_S: 'varchar',
    AUDIOMON_MODEL: 'varchar', AUDIOMON_MODEL_SHA256: 'varchar', AUDIOMON_HEALTH: 'varchar', AUDIOMON_HEARD_S: 'varchar',
    AUDIOMON_LAG_MS_P99: 'varchar', AUDIOMON_LOST: 'varchar', AUDIOMON_LOST_AWAY: 'varchar',
    AUDIOMON_LOST_REOPENED: 'varchar', AUDIOMON_UNDELIVERED: 'varchar'
  }
);

-- Events that ended: when they began, and how long they lasted.
create or replace view events as
select host, machine_id, instance, time - to_microseconds((duration_s * 1e6)::bigint) as time, label, duration_s, model
from entries
where kind = 'event-off';

-- Events by host and hour.
create or replace view hourly as
select host, instance, label, date_trunc('hour', time) as hour, count(*) as events, sum(duration_s) as on_s
from events
group by all;

-- One row a listener: when it was last heard of, how it was then, and what it lost.
create or replace view pis as
select
  host,
  machine_id,
  instance,
  max(time) as last_entry,
  arg_max(coalesce(health, kind), time) filter (health is not null or kind in ('listening', 'stopped')) as health,
  sum(heard_s) filter (kind = 'summary') as heard_s,
  count(*) filter (kind = 'event-on') as events,
  sum(lost) as lost,
  sum(lost_away) as lost_away,
  sum(lost_reopened) as lost_reopened,
  sum(undelivered) as undelivered,
  max(lag_ms_p99) as lag_ms_p99,
  arg_max(model, time) as model,
  arg_max(model_sha256, time) filter (model_sha256 is not null) as model_sha256,
  count(*) filter (priority <= 4) as warnings
from entries
group by host, machine_id, instance;

-- Which model runs where.
create or replace view models as
select model, model_sha256, count(*) as listeners, list(host order by host) as hosts
from pis
group by model, model_sha256;

-- Listeners from which nothing has come for an hour.
create or replace view silent as
select * from pis where last_entry < now() at time zone 'utc' - interval 1 hour;
