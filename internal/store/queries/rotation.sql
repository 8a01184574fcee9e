-- name: OpenRotation :one
select * from rotation where credential = @credential and (state = 'open' or minted_at >= @since and minted_at > 0)
order by minted_at limit 1;

-- LastRotation is the newest replacement of a credential.
-- name: LastRotation :one
select * from rotation where credential = @credential and minted_at > 0 order by minted_at desc, id desc limit 1;

-- name: MintedRotations :many
select * from rotation where credential = @credential and state = 'minted' order by id;

-- name: RotationByID :one
select * from rotation where id = @id;

-- LockRotation reads a rotation and keeps other writers away until the
-- transaction ends. Cases are locked before it.
-- name: LockRotation :one
update rotation set epoch = epoch where id = @id returning *;

-- name: InsertRotation :exec
insert into rotation (
    id, credential, state, result, opened_at, minted_at, retire_at, retired_at, configured, detail, due_at, wake_at, lease_until, epoch
) values (@id, @credential, 'open', @result, @opened_at, 0, 0, 0, @configured, @detail, @due_at, @wake_at, 0, 0);

-- name: SaveRotation :exec
update rotation set
    state = @state, result = @result, minted_at = @minted_at, retire_at = @retire_at, retired_at = @retired_at,
    configured = @configured, detail = @detail, due_at = @due_at, wake_at = @wake_at, lease_until = @lease_until
where id = @id;

-- name: ClaimRotation :one
update rotation set epoch = epoch + 1, lease_until = @lease_until, wake_at = @lease_until
where id = @id and wake_at > 0 and wake_at <= @now and lease_until <= @now
returning *;

-- KeepRotation extends a lease; a wake-up that came meanwhile stays.
-- name: KeepRotation :execrows
update rotation set wake_at = case when wake_at = lease_until then @lease_until else wake_at end, lease_until = @lease_until
where id = @id and epoch = @epoch and lease_until > 0;

-- name: FreeRotations :exec
update rotation set lease_until = 0, wake_at = @now where lease_until > 0;

-- WakeRotation lets a rotation be looked at: at once, or when whoever works on
-- it is done.
-- name: WakeRotation :exec
update rotation set wake_at = @now where id = @id;

-- name: DueRotations :many
select id from rotation where wake_at > 0 and wake_at <= @now and lease_until <= @now order by wake_at limit 50;

-- name: LinkRotation :exec
insert into rotation_case (rotation_id, case_id) values (@rotation_id, @case_id)
on conflict (rotation_id, case_id) do nothing;

-- name: RotationsOf :many
select r.* from rotation r join rotation_case rc on rc.rotation_id = r.id where rc.case_id = @case_id order by r.id;

-- name: CasesOfRotation :many
select case_id from rotation_case where rotation_id = @rotation_id order by case_id;

-- name: TasksOfRotation :many
select * from task where rotation_id = @rotation_id and rotation_id <> '' order by id;

-- name: RotationsBefore :many
select * from rotation where id < @before and (cast(@state as text) = '' or state = @state)
order by id desc limit @most;

-- name: CountRotations :many
select state, count(*) as number from rotation group by state;

-- WakeRotationsOf lets the open rotations of a case that ends be looked at.
-- name: WakeRotationsOf :exec
update rotation set wake_at = @now where state = 'open' and id in (
    select rc.rotation_id from rotation_case rc where rc.case_id = @case_id
);

-- name: MoveTask :exec
update task set case_id = @case_id where id = @id;
