-- name: InsertLink :exec
insert into link (hash, case_id, task_id, person, created_at, expires_at, used_at, ended_at, notes, noted_at)
values (@hash, @case_id, @task_id, @person, @created_at, @expires_at, 0, 0, 0, 0);

-- name: LinkByHash :one
select * from link where hash = @hash;

-- name: UseLink :execrows
update link set used_at = @now where hash = @hash and used_at = 0 and ended_at = 0 and expires_at > @now;

-- name: NoteLink :execrows
update link set notes = notes + 1, noted_at = @now where hash = @hash and notes < @most and noted_at <= @since;

-- name: EndTaskLinks :exec
update link set ended_at = @now where case_id = @case_id and task_id = @task_id and used_at = 0 and ended_at = 0;

-- name: EndCaseLinks :exec
update link set ended_at = @now where link.case_id = @case_id and link.used_at = 0 and link.ended_at = 0
    and not exists (select 1 from task where task.id = link.task_id and task.state = 'open');
