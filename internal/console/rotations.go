package console

import (
	"net/http"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// listRotations lists replacements of credentials with the cases that they serve.
func (c *Console) listRotations(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "state", "before", "limit")
	if err != nil {
		return 0, nil, err
	}
	f := offboard.RotationFilter{Before: q.Get("before")}
	if f.State, err = oneOf("state", q.Get("state"), offboard.RotationStates()); err != nil {
		return 0, nil, err
	}
	if f.Most, err = most(q); err != nil {
		return 0, nil, err
	}
	list, err := c.opts.Store.Rotations(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}
	out := RotationList{Rotations: []Rotation{}}
	for _, f := range list {
		out.Rotations = append(out.Rotations, servedBy(f))
	}
	if len(list) == f.Most {
		out.Next = list[len(list)-1].Rotation.ID
	}
	return http.StatusOK, out, nil
}

func servedBy(f offboard.RotationFile) Rotation {
	out := rotationOf(f.Rotation)
	for _, k := range f.Cases {
		out.Cases = append(out.Cases, k.ID)
	}
	return out
}

// confirmRotation is somebody's word that every consumer uses the new value.
func (c *Console) confirmRotation(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[NoteRequest](r)
	if err == nil {
		err = tidy(&in.Note)
	}
	if err != nil {
		return 0, nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	f, err := c.opts.Store.ConfirmRotation(r.Context(), id, func(f offboard.RotationFile) (offboard.RotationUpdate, error) {
		return offboard.ConfirmRotation(f, by.Name, in.Note)
	})
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "rotation confirm"), zap.String("rotation", id))
	return http.StatusOK, servedBy(f), nil
}
