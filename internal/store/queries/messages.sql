-- name: InsertMessage :execrows
insert into message (
    id, case_id, msg_key, recipient, about, subject, body, task_key, approve, state, attempts, first_at, next_at,
    created_at, sent_at, error
) values (
    @id, @case_id, @msg_key, @recipient, @about, @subject, @body, @task_key, @approve, @state, 0, 0, @next_at,
    @created_at, 0, ''
) on conflict (case_id, msg_key, recipient) do nothing;

-- name: CountDueMessages :one
select count(*) from message m
where m.state = 'pending' and m.next_at <= @now and (m.case_id = '' or not exists (select 1 from pause));

-- ClaimMessages keeps due messages from other senders until the lease ends.
-- name: ClaimMessages :many
update message set next_at = @lease_until
where message.state = 'pending' and message.next_at <= @now and message.id in (
    select d.id from message d
    where d.state = 'pending' and d.next_at <= @now and (d.case_id = '' or not exists (select 1 from pause))
    order by d.next_at, d.id limit @most
)
returning *;

-- name: SaveMessage :execrows
update message set
    state = @state, attempts = @attempts, first_at = @first_at, next_at = @next_at, sent_at = @sent_at, error = @error
where id = @id and state = 'pending';

-- name: MessagesOf :many
select * from message where case_id = @case_id order by id;

-- OldestMessage is when the oldest message that an attempt failed to deliver was first tried.
-- name: OldestMessage :one
select cast(coalesce(min(first_at), 0) as bigint) as first_at from message where state = 'pending' and attempts > 0;

-- TasksToRemind lists open tasks that are overdue, or near it, and of which that
-- was not said yet. Near is a day before, or half of the time where that is less.
-- name: TasksToRemind :many
select * from task t
where t.state = 'open' and t.due_at > 0 and (cast(@channels as boolean) or t.assignee <> '')
    and t.due_at - (case when t.due_at - t.opened_at < 172800000 then (t.due_at - t.opened_at) / 2 else 86400000 end) <= @now
    and not exists (
        select 1 from message m where m.case_id = t.case_id
            and m.msg_key = (case when t.due_at <= @now then 'overdue/' else 'near/' end) || t.task_key || '/' || cast(t.due_at as text)
    )
order by t.due_at limit @most;

-- DropTasks ends what nobody needs any more when a case ends; what is to be
-- done after a removal, and what belongs to a rotation, stays.
-- name: DropTasks :exec
update task set state = 'dropped', ended_at = @now where case_id = @case_id and state = 'open' and kind <> 'follow_up' and rotation_id = '';
