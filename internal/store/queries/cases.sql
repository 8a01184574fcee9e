-- name: InsertCase :exec
insert into cases (
    id, person_id, connection, address, address_key, plan, reason, trigger_form, ticket, policy,
    state, waiting, note, batch, ending, outcome, epoch, signal, lease_until, wake_at, queued_at,
    opened_at, not_before, due_at, removed_at, verified_at, waited_ms, wait_since, closed_at, counted_at
) values (
    @id, @person_id, @connection, @address, @address_key, @plan, @reason, @trigger_form, @ticket, @policy,
    @state, @waiting, @note, @batch, '', '', 0, 0, 0, @wake_at, @queued_at,
    @opened_at, @not_before, @due_at, 0, 0, 0, 0, 0, @counted_at
);

-- name: CaseByID :one
select * from cases where id = @id;

-- LockCase reads a case and keeps other writers away until the transaction ends.
-- name: LockCase :one
update cases set epoch = epoch where id = @id returning *;

-- name: LiveCaseOf :one
select * from cases where person_id = @person_id and closed_at = 0;

-- name: LastCaseOf :one
select * from cases where person_id = @person_id order by id desc limit 1;

-- name: LiveCaseCount :one
select count(*) from cases where person_id = @person_id and closed_at = 0 and plan <> 'mover';

-- ClaimCase takes a case that may move; one that is held with others may only
-- give back what it took, should its person be entitled again.
-- name: ClaimCase :one
update cases set epoch = epoch + 1, lease_until = @lease_until, wake_at = @lease_until, queued_at = 0
where id = @id and closed_at = 0 and lease_until <= @now and state <> 'needs_attention'
    and (state <> 'held' or batch <> '' and not cleared)
returning *;

-- name: SignalCase :one
update cases set signal = signal + 1 where id = @id and closed_at = 0 returning *;

-- name: QueueCase :exec
update cases set wake_at = @wake_at, queued_at = @queued_at where id = @id;

-- WakePaused lets everything go on at once that a pause held up.
-- name: WakePaused :exec
update cases set wake_at = @now
where state = 'waiting' and waiting = 'paused' and closed_at = 0 and lease_until <= @now;

-- name: DueCases :many
update cases set wake_at = @again, queued_at = @now
where wake_at <= @now and closed_at = 0 and id in (
    select d.id from cases d
    where d.closed_at = 0 and d.wake_at > 0 and d.wake_at <= @now and d.lease_until <= @now
        and d.state <> 'needs_attention' and (d.state <> 'held' or d.batch <> '' and not d.cleared)
        and (d.plan = 'emergency') = cast(@urgent as boolean)
    order by d.wake_at limit @most
)
returning id, removed_at;

-- name: QueuedCases :one
select count(*) from cases
where closed_at = 0 and queued_at > @since and state not in ('held', 'needs_attention');

-- name: SaveCase :exec
update cases set
    plan = @plan, reason = @reason, state = @state, waiting = @waiting, note = @note, guard = @guard, ending = @ending,
    outcome = @outcome, epoch = @epoch, signal = @signal, lease_until = @lease_until, wake_at = @wake_at,
    queued_at = @queued_at, not_before = @not_before, due_at = @due_at, removed_at = @removed_at,
    verified_at = @verified_at, waited_ms = @waited_ms, wait_since = @wait_since, closed_at = @closed_at,
    held_ms = @held_ms, held_since = @held_since
where id = @id;

-- name: ExtendLease :exec
update cases set lease_until = @lease_until, wake_at = @lease_until where id = @id;

-- name: FreeLeases :exec
update cases set lease_until = 0, wake_at = @now where closed_at = 0 and (lease_until > 0 or queued_at > 0)
    and state not in ('held', 'needs_attention');

-- name: CasesBefore :many
select * from cases
where id < @before
    and (cast(@state as text) = '' or state = @state)
    and (cast(@plan as text) = '' or plan = @plan)
    and (cast(@connection as text) = '' or connection = @connection)
    and (cast(@batch as text) = '' or batch = @batch)
    and (cast(@address_key as text) = '' or address_key = @address_key)
order by id desc limit @most;

-- name: CountCases :many
select plan, state, count(*) as number,
    cast(min(case when not_before > opened_at then not_before else opened_at end) as bigint) as oldest from cases
where closed_at = 0 group by plan, state;

-- name: CountOverdue :many
select plan, count(*) as number from cases where closed_at = 0 and due_at < @now group by plan;

-- name: InsertStep :exec
insert into step (case_id, seq, name, state, attempts, result, error, started_at, finished_at)
values (@case_id, @seq, @name, @state, @attempts, @result, @error, @started_at, @finished_at)
on conflict (case_id, seq) do update set
    name = excluded.name, state = excluded.state, attempts = excluded.attempts, result = excluded.result,
    error = excluded.error, started_at = excluded.started_at, finished_at = excluded.finished_at;

-- name: DeleteSteps :exec
delete from step where case_id = @case_id;

-- name: StepsOf :many
select * from step where case_id = @case_id order by seq;

-- name: InsertAsset :exec
insert into asset (case_id, id, kind, organization, project, remote_id, name, state, new_owner, by_whom, source)
values (@case_id, @id, @kind, @organization, @project, @remote_id, @name, @state, @new_owner, @by_whom, @source)
on conflict (case_id, id) do update set
    state = excluded.state, new_owner = excluded.new_owner, by_whom = excluded.by_whom, name = excluded.name;

-- name: AssetsOf :many
select * from asset where case_id = @case_id order by id;

-- name: InsertTask :exec
insert into task (
    id, case_id, kind, task_key, title, body, link, assignee, successor, state, due_at, opened_at, by_whom, note, ended_at,
    rotation_id
) values (
    @id, @case_id, @kind, @task_key, @title, @body, @link, @assignee, @successor, @state, @due_at, @opened_at,
    @by_whom, @note, @ended_at, @rotation_id
) on conflict (case_id, task_key) do update set
    title = excluded.title, link = excluded.link, assignee = excluded.assignee, successor = excluded.successor, state = excluded.state, due_at = excluded.due_at,
    body = excluded.body, by_whom = excluded.by_whom, note = excluded.note, ended_at = excluded.ended_at;

-- TasksOf lists a case's own tasks and those of the rotations that serve it.
-- name: TasksOf :many
select * from task k where k.case_id = @case_id or k.rotation_id <> '' and k.rotation_id in (
    select rc.rotation_id from rotation_case rc where rc.case_id = @case_id
) order by k.id;

-- name: TaskByID :one
select * from task where id = @id;

-- name: TasksBefore :many
select * from task where id < @before
    and (cast(@state as text) = '' or state = @state)
    and (cast(@case_id as text) = '' or case_id = @case_id)
order by id desc limit @most;

-- name: CountTasksOverdue :many
select kind, count(*) as number from task where state = 'open' and due_at < @now group by kind;

-- name: InsertApproval :exec
insert into approval (case_id, by_key, by_whom, role, ticket, note, at, via, attachments)
values (@case_id, @by_key, @by_whom, @role, @ticket, @note, @at, @via, @attachments)
on conflict (case_id, by_key) do update set
    role = excluded.role, ticket = excluded.ticket, note = excluded.note, at = excluded.at, via = excluded.via,
    attachments = excluded.attachments;

-- name: ApprovalsOf :many
select * from approval where case_id = @case_id order by at, by_key;

-- name: InsertEvidence :exec
insert into evidence (case_id, body, hash, at) values (@case_id, @body, @hash, @at)
on conflict (case_id) do nothing;

-- name: EvidenceOf :one
select * from evidence where case_id = @case_id;

-- name: LastEntry :one
select seq, hash from timeline where case_id = @case_id order by seq desc limit 1;

-- name: InsertEntry :exec
insert into timeline (case_id, seq, at, actor, kind, body, data, prev_hash, hash)
values (@case_id, @seq, @at, @actor, @kind, @body, @data, @prev_hash, @hash);

-- name: TimelineOf :many
select * from timeline where case_id = @case_id order by seq;

-- name: CountWaiting :one
select count(*) from cases where closed_at = 0 and state = 'waiting' and waiting = @waiting;

-- name: KeepLease :execrows
update cases set lease_until = @lease_until, wake_at = @lease_until
where id = @id and epoch = @epoch and closed_at = 0 and lease_until > 0;
