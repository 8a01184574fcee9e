-- name: DropApprovals :exec
delete from approval where case_id = @case_id;

-- name: SavePolicy :exec
update cases set policy = @policy where id = @id;
